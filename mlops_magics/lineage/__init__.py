"""What a cell is and what really ran: names read and bound, estimators fitted."""
