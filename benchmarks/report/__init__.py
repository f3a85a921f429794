"""The report: one HTML page that answers which model, on what evidence."""
