"""A run as one offline page: what trained, how losses went, what it shows, where it comes from."""
