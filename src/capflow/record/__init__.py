"""The record of what ran: written to a journal here first, and sent to MLflow when that answers."""
