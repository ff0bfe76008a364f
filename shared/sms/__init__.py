"""What a text is: request, content, replies to inbound texts, opt-outs, segments."""
