"""What an episode is held in: batches, transforms, replay buffers, schedules."""
