"""What Switchboard is measured against: each as anyone would write it from the old guide's description."""
