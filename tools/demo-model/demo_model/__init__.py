"""The demo model of cortex: data, tokenizer, training, export and parity, all from scratch."""
