"""The process: settings, listeners, interceptors, pools, lifecycle, and the composition root."""
