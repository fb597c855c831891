"""`rowlock demo`: hundreds of customers race for one theatre, and every promise is checked afterwards.

- `house`: the servers, on data of their own, started as `rowlock up` starts them
- `customer`: what one customer does, with all the ways in which customers go wrong
- `screens`: the kiosks that watch
- `race`: brings them together and looks at what came of it
"""
