"""Figures: functions of a table, drawn by Plotly, and still by Matplotlib."""
