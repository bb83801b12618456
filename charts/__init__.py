"""What the Helm chart has that is generated, and the program that writes it."""
