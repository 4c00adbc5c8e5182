"""amoCRM and Kommo: leads (our deals) and all around them, into `raw_amocrm`."""
