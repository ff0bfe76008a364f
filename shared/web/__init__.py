"""HTTP: signed webhooks, the JSON API, pages, access tokens, diagnosis."""
