"""What is heard at each frame of a video: sounds read, cut by time, turned into log-mel patches."""
