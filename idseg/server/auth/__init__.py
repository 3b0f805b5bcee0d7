"""Who may call: keys, tokens, signatures, and which web sites."""
