"""Files on network volumes, read and written without a pod, through the provider's S3 API."""
