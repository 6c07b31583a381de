"""The bus vocabulary: message models, dense record layouts, the stream table and its published schema."""
