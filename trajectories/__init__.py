"""What recorded experience is. Every room stands on this one, and its packages import it before they import torch."""

from trajectories.openmp import wait_briefly

wait_briefly()
