"""What Switchboard is measured against: each as most people would write it, from the old guide's description."""
