"""A telephone that walks TwiML: it carries out the TwiML of a call as Twilio documents it, without a network.

The exchange and the interpreter do no I/O. They say which requests to make, and take the answers. So the same
code runs on a test's clock and behind the handsets on the screen. A module that has a rule of Twilio's
documentation names the page.
"""
