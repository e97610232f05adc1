"""The report: reads what the stages wrote and puts it into words, tables and figures."""
