"""What the tests are too short for: damaged files, kills, power cuts and lying servers, hundreds of each."""
