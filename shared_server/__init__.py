"""One model, or several, for a whole team: `unmask serve`. Nothing else imports this package."""
