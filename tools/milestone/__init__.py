"""`make run`: the whole product once, from signed deliveries to proven documents."""
