"""How far a run is: records counted, logs, terminal view and the dashboard's page."""
