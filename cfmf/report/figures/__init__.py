"""Figures: functions of a table, drawn by Plotly, and as static SVG by Matplotlib."""
