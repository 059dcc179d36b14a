"""Reading: a dataset version's rows as samples, their media as frames, decoded ahead of need."""
