"""`tradebus bench governor`: several processes, their accounts, and a broker that counts by its own second."""
