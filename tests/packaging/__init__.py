"""What is shipped: the wheel, the image, the Kubernetes manifests; slower than the unit tests, and wants tools."""
