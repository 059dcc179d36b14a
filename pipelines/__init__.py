"""What, when and with which retries: the command line, recipes and Prefect flows. Computes nothing."""
