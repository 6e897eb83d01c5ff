"""What several processes train in the tests of distribution, and the script that each of them runs."""
