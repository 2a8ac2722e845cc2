"""The command line over sdquant, binemb and their siblings."""
