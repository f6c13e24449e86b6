"""One file a way to fine-tune. A new file here is a new way; nothing else to edit."""
