"""`make run`: the whole product once, from deliveries to proven documents."""
