"""The contract kit: what every recipe must do, ours and other people's, as a test and as `tunebook verify`.

```python
from tunebook.testing import check_recipe

def test_the_recipe_keeps_the_contract():
    check_recipe("ticket_routing")
```
"""

from tunebook.testing.outcome import CHECKS, Outcome, RecipeFailed, Status
from tunebook.testing.verify import check_recipe, verify_recipe
from tunebook.testing.workshop import Workshop, open_workshop

__all__ = [
    "CHECKS",
    "Outcome",
    "RecipeFailed",
    "Status",
    "Workshop",
    "check_recipe",
    "open_workshop",
    "verify_recipe",
]
