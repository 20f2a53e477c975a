"""Pages for people, rendered on this machine from figures that came from a pod and were judged."""
