"""Decision Transformers that act: by recomputing a window, as published, or through a cache that a policy prunes."""

from namm_xmodal.agents.agent_model import AgentModel, StateStatistics
from namm_xmodal.agents.cache_agent import CacheAgent
from namm_xmodal.agents.window_agent import WindowAgent

__all__ = ["AgentModel", "CacheAgent", "StateStatistics", "WindowAgent"]
