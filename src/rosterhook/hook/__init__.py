"""The event hook on Okta's side: compared with the configuration, set up, rotated, proved and removed."""
