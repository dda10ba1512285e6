"""Stage overriding: the prompt asks one thing, an instruction's vector another."""
