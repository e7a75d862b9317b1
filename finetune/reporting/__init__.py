"""What a person is shown of a prediction table: one page, with figures and the worst images."""
