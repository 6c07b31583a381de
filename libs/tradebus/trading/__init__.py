"""What a trade is and costs. Pure.

states     lifecycles of trades and orders as tables     position   quantities and profit from fills
charges    what a fill costs in India, by date           metrics    R, MAE, MFE, shortfall
size       how much is asked for, margin, daily range    trailing   stops that only tighten
"""
