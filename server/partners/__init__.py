"""What partners' programs are sent: how changes look, how messages are signed, and where they may go."""
