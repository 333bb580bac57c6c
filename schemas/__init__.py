"""What crosses a border: events in, events out, answers over HTTP. No I/O."""
