"""What goes into training: files of prompts and texts, chat templates, tokens."""
