"""Following the event log: the tailer that reads it and the projection that answers hot reads. Never writes."""
