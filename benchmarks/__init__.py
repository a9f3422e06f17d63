"""Speed, memory and imports: this client beside what people would use instead. `make bench` runs it all."""
