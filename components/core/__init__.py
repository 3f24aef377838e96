"""Names, formats and values that all other packages use. No module here declares a resource."""
