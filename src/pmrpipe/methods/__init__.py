"""What a registration method is, and the methods themselves."""
