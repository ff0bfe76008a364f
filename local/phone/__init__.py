"""A telephone for TwiML: it walks calls as Twilio documents them, offline, on a clock of its own.

The exchange and the interpreter do no I/O: they say which requests to make and take the answers, so the
same code runs under a test's fake clock and behind the handsets on the screen. Where Twilio's documentation
gives a rule, the module that holds the rule names the page.
"""
