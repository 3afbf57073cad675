"""Between a panel and the controller: a panel knows neither the controller nor another panel."""
