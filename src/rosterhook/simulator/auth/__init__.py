"""Who may call the simulated org: API tokens and OAuth service apps, their roles and scopes, and DPoP."""
