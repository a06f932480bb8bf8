"""The Kubernetes controller: what a stage holds in the registry runs in the cluster, pinned by digest.

Two rooms of code: values and pure functions (`spec`, `memory`, `plan`, `patches`, `rollouts`, `windows`), which know
neither network nor clock, and the rest, which asks the registry and the Kubernetes API and does what they say. It
talks to the registry through the SDK only.
"""
