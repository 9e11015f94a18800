//! Stands in for AWS and an EKS cluster.
